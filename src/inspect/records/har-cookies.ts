/** The cookies of HAR, from Cookie (RFC 6265 §4.2) and Set-Cookie (§5.2) as received; no rule of a browser is applied. */

/** @param fields values of Cookie */
export function cookiesOf(fields: readonly string[]) {
  return fields
    .flatMap((value) => value.split(';'))
    .flatMap((pair) => (pair.trim() === '' ? [] : [nameAndValue(pair)]));
}

/** @param fields values of Set-Cookie */
export function setCookiesOf(fields: readonly string[]) {
  return fields.map((field) => {
    const [pair = '', ...attributes] = field.split(';');
    const of = new Map(
      attributes.map((attribute) => {
        const { name, value } = nameAndValue(attribute);
        return [name.toLowerCase(), value];
      }),
    );
    const [path, domain, expires] = [of.get('path'), of.get('domain'), Date.parse(of.get('expires') ?? '')];
    return {
      ...nameAndValue(pair),
      ...(path !== undefined && { path }),
      ...(domain !== undefined && { domain }),
      ...(!Number.isNaN(expires) && { expires: new Date(expires).toISOString() }),
      httpOnly: of.has('httponly'),
      secure: of.has('secure'),
    };
  });
}

function nameAndValue(pair: string): { name: string; value: string } {
  const end = pair.indexOf('=');
  // HttpOnly and Secure are names without a value.
  return end < 0
    ? { name: pair.trim(), value: '' }
    : { name: pair.slice(0, end).trim(), value: pair.slice(end + 1).trim() };
}
