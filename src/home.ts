/** Where settings, certificates and the local CA are. By itself, since every command asks and few need the settings. */
export { homeDirectory } from '../bin/health.js';
