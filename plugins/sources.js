'use strict';

// A mistake in sources.toml ends `make lint` and `make deploy` with the line that names it: packaging checks the file.

const { spawnSync } = require('child_process');

module.exports = class Sources {
  constructor(serverless) {
    this.serverless = serverless;
    this.hooks = { 'before:package:createDeploymentArtifacts': () => this.check() };
  }

  check() {
    const { service, serviceDir } = this.serverless;
    const options = { cwd: serviceDir, encoding: 'utf8' };
    const { status, error, stderr } = spawnSync(service.provider.runtime, ['sources.py', service.custom.sourcesFile], options);
    if (status !== 0) throw new Error(error?.message ?? stderr.trim());
  }
};
