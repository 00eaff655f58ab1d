'use strict';

// Packaging checks sources.toml, so a mistake in it ends `make lint` and `make deploy` with a line that names it.

const { spawnSync } = require('child_process');

module.exports = class Sources {
  constructor(serverless) {
    this.serverless = serverless;
    this.hooks = { 'before:package:createDeploymentArtifacts': () => this.check() };
  }

  check() {
    const { service, serviceDir } = this.serverless;
    const program = ['-c', 'import sources, sys; sources.main(sys.argv[1:])', service.custom.sourcesFile];
    const options = { cwd: serviceDir, encoding: 'utf8' };
    const { status, error, stderr } = spawnSync(service.provider.runtime, program, options);
    if (status !== 0) throw new Error(error?.message ?? stderr.trim());
  }
};
