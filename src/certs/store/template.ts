/** The first certificates.yaml: no entries, and commented examples. */
export const storeTemplate = `# Client certificates of mtlsd, and which CAs are trusted. Changes take effect when the file is saved. A file with a mistake
# changes nothing, and the log shows where the mistake is. Paths are relative to this file.
version: 1

certificates: []
#  - name: partner-api            # unique; made from the host when left out
#    host: api.partner.example    # exact name, "*.suffix", "*", or an IP address
#    port: 443                    # 443 when left out; "*" is any port
#    cert: certs/partner.crt      # PEM or DER, with or without its chain
#    key: certs/partner.key       # left out when the cert file holds the key too
#    passphrase: { env: PARTNER_PASS }   # or "text", { file: PATH }, { command: [PROGRAM, ARGUMENT] }
#  - host: "*.corp.example"
#    pfx: certs/corp.p12          # PFX (PKCS#12) in place of cert and key

# trust:
#   system: true                  # the system's trust anchors
#   ca: [corp-root.pem]           # and these, for every host

# verification:
#   mode: enforce                 # or report: check and record, let everything through
#   rules:
#     - host: dev.corp.example
#       mode: report

# interception:
#   passthrough: ["*.pinned.example", "bank.example:443"]   # tunnelled untouched
`;
