/**
 * A name that only this proxy answers: `mtlsd doctor` asks for it with each client, and browsers find a page there.
 * RFC 6761 §6.2 reserves `.test`: no server on the internet has the name.
 */
export const OWN_NAME = 'mtlsd.test';
