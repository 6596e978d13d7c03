/** The software bill of materials (CycloneDX): npm's, with what is in the bundles alone, and the same for the same commit. */

interface Component {
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
  readonly scope?: string;
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
}

interface Bom {
  readonly metadata: { readonly component: Component; readonly [field: string]: unknown };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
  readonly [field: string]: unknown;
}

/**
 * The libraries are development dependencies, since the packages hold their code; so npm's list marks nothing as shipped. The
 * licence files of the bundles name what is.
 * @param sbom as `npm sbom --sbom-format cyclonedx` prints it
 * @param licences their texts; each library begins with `NAME VERSION`
 * @param epoch Unix time
 */
export function bundledSbom(sbom: string, licences: string, epoch: number): string {
  const bom = JSON.parse(sbom) as Bom;
  // `undici 8.12.4` of rolldown.config.ts, `## preact - 11.2.0 (MIT)` of vite; and Node, which the Debian package brings.
  const isBundled = ({ name, version }: Component): boolean =>
    name === 'node' || new RegExp(`^(## )?${escape(name)} (- )?${escape(version)}( |$)`, 'm').test(licences);
  const components = bom.components.filter(isBundled).map(({ properties, scope: _scope, ...component }) => ({
    ...component,
    ...(properties && { properties: properties.filter(({ name }) => name !== 'cdx:npm:package:development') }),
    scope: 'required',
  }));
  const refs = new Set([bom.metadata.component['bom-ref'], ...components.map((component) => component['bom-ref'])]);
  // The serial number is random in npm's, and the rest follows from the commit.
  const { serialNumber: _serial, ...rest } = bom;
  return `${JSON.stringify(
    {
      ...rest,
      // npm takes the name of the folder.
      metadata: {
        ...bom.metadata,
        component: { ...bom.metadata.component, name: 'mtlsd' },
        timestamp: new Date(epoch * 1_000).toISOString(),
      },
      components,
      dependencies: bom.dependencies
        .filter(({ ref }) => refs.has(ref))
        .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((one) => refs.has(one)) })),
    },
    null,
    2,
  )}\n`;
}

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
