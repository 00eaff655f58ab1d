'use strict';

// The framework compares a layer with the one that is deployed, to upload it only when it changed; that asks AWS.
// `sls package` must need no account, so it leaves the comparison out, as before a first deployment.

module.exports = class OfflineLayer {
  constructor(serverless) {
    this.serverless = serverless;
    this.hooks = { 'before:package:compileLayers': () => this.leaveOut() };
  }

  leaveOut() {
    const { pluginManager, processedInput } = this.serverless;
    if (processedInput.commands[0] !== 'package') return;
    const compiler = pluginManager.plugins.find((plugin) => plugin.compareWithLastLayer);
    compiler.compareWithLastLayer = async () => {};
  }
};
