// The packages that the example for TypeScript is tested with, and the example itself as it was built.
// Never installs or builds them: tests/setup.sh does.
import { createRequire } from 'node:module';

export const require = createRequire(new URL('../../examples/typescript/package.json', import.meta.url));
export { Palisade } from '../../examples/typescript/dist/palisade.js';
export const PROTOS = new URL('../../proto', import.meta.url).pathname;

/** Who the demonstration's plain headers name. A real server leaves this to the access token. */
export const demo = (headers) => {
  const [user, agent] = [headers['x-demo-user'], headers['x-demo-agent']];
  return user && agent ? { subject: { principal: { type: 'Human', id: user }, actor: { type: 'Agent', id: agent } } } : {};
};
