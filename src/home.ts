/** Where settings, certificates and the local CA are. A separate file, since every command needs it and few need the settings. */
export { homeDirectory } from '../bin/health.js';
