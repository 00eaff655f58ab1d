'use strict';

// With the param importTables, `sls deploy` takes over tables that the stage's last stack left behind: CloudFormation imports
// what exists under a literal name and has a DeletionPolicy that retains it. osls has no option for that.

module.exports = class ImportTables {
  constructor(serverless) {
    this.serverless = serverless;
    this.hooks = { 'before:deploy:deploy': () => this.importTables() };
  }

  importTables() {
    if (String(this.serverless.service.custom.importTables) !== 'true') return;
    const deployment = this.serverless.pluginManager.plugins.find(({ constructor }) => constructor.name === 'AwsDeploy');
    const original = deployment.getCreateChangeSetParams;
    deployment.getCreateChangeSetParams = function (...stack) {
      return { ...original.apply(this, stack), ImportExistingResources: true };
    };
  }
};
