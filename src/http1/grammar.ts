/** Which characters may stand where; text is latin1, one character for each byte. */

/** RFC 9110 §5.6.2: methods and field names. */
export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110 §5.5: field values; RFC 9112 §4: so is a reason phrase. */
export const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** RFC 9112 §3.2 has ASCII only; bytes from 0x80 on are sent in practice, and separate nothing. */
export const TARGET = /^[\x21-\x7e\x80-\xff]+$/;
/** What no line may hold but at its end (RFC 9112 §2.2): control characters. */
// oxlint-disable-next-line no-control-regex
export const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/;

export const isToken = (text: string): boolean => TOKEN.test(text);
export const isFieldValue = (text: string): boolean => VALUE.test(text);
export const isRequestTarget = (text: string): boolean => TARGET.test(text);
export const isReason = isFieldValue;
