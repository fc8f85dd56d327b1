// OHIF before one archive, which is the one that serves it.
window.config = {
  routerBasename: null, extensions: [], modes: [], customizationService: {}, showStudyList: true, maxNumberOfWebWorkers: 2,
  showCPUFallbackMessage: false, investigationalUseDialog: { option: 'never' }, defaultDataSourceName: 'px',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'px',
    configuration: {
      friendlyName: 'px', name: 'px', wadoUriRoot: '/dicom-web', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web',
      qidoSupportsIncludeField: true, imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true,
      supportsWildcard: true, omitQuotationForMultipartRequest: true,
    },
  }],
};
