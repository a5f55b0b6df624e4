// A real OPC UA server (node-opcua) that audits: sessions by itself, as node-opcua does; writes, method calls and refused logins by the events
// that OPC 10000-5, 6.4 gives them, raised where node-opcua serves the request. Arguments: the port, the folder of its certificate, and how it
// misbehaves, if it does. It prints `ready` when it listens; what it is told on its standard input it does.
const { OPCUAServer, OPCUACertificateManager, DataType, Variant, StatusCodes, nodesets, makeRoles, resolveNodeId, VariantArrayType } = require("node-opcua");

const [port, folder, mode] = process.argv.slice(2);
const users = { operator: "station-7", historian: "nightly" };

(async () => {
  const serverCertificateManager = new OPCUACertificateManager({ rootFolder: folder + "/pki", automaticallyAcceptUnknownCertificate: true });
  const userCertificateManager = new OPCUACertificateManager({ rootFolder: folder + "/users", automaticallyAcceptUnknownCertificate: true });
  await serverCertificateManager.initialize();
  await userCertificateManager.initialize();
  const server = new OPCUAServer({
    port: Number(port),
    hostname: "127.0.0.1",
    alternateHostname: ["127.0.0.1"],
    resourcePath: "/plant",
    isAuditing: true,
    allowAnonymous: true,
    serverCertificateManager,
    userCertificateManager,
    nodeset_filename: [nodesets.standard],
    userManager: { isValidUser: (user, password) => users[user] === password },
    ...(mode === "insecure" ? { securityPolicies: ["http://opcfoundation.org/UA/SecurityPolicy#None"], securityModes: [1] } : {}),
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  const own = space.getOwnNamespace();
  const line = own.addObject({ organizedBy: space.rootFolder.objects, browseName: "Line7" });
  own.addVariable({ componentOf: line, browseName: "SetPoint", nodeId: "s=SetPoint", dataType: "Double", value: new Variant({ dataType: DataType.Double, value: 20 }), minimumSamplingInterval: 100 });
  const method = own.addMethod(line, { browseName: "Start", nodeId: "s=Start", inputArguments: [{ name: "recipe", dataType: DataType.String, valueRank: -1 }], outputArguments: [] });
  method.bindMethod((inputs, context, done) => done(null, { statusCode: StatusCodes.Good, outputArguments: [] }));
  const object = space.rootFolder.objects.server;
  const text = (dataType, value) => new Variant({ dataType, value });
  const raise = (type, status, session, fields) => {
    const token = (session && session.userIdentityToken) || {};
    const user = token.userName || (token.certificateData && "CN=vendor-7");
    object.raiseEvent(type, {
      sourceName: text(DataType.String, fields.source),
      sourceNode: text(DataType.NodeId, fields.node || object.nodeId),
      severity: text(DataType.UInt16, 100),
      message: { dataType: DataType.LocalizedText, value: { text: fields.source } },
      actionTimeStamp: text(DataType.DateTime, new Date()),
      status: text(DataType.Boolean, status),
      serverId: text(DataType.String, "urn:line-7"),
      clientAuditEntryId: text(DataType.String, ""),
      clientUserId: text(DataType.String, user || (session ? "Anonymous" : "")),
      ...fields.more,
    });
  };
  server.on("request", (request, channel) => {
    const session = server.engine.getSession(request.requestHeader.authenticationToken);
    if (request.constructor.name === "WriteRequest") {
      for (const write of request.nodesToWrite) {
        raise("AuditWriteUpdateEventType", true, session, {
          source: "Attribute/Write",
          node: write.nodeId,
          more: { attributeId: text(DataType.UInt32, write.attributeId), newValue: write.value.value, oldValue: text(DataType.Double, 20), indexRange: text(DataType.String, "") },
        });
      }
    }
    if (request.constructor.name === "CallRequest") {
      for (const call of request.methodsToCall) {
        raise("AuditUpdateMethodEventType", true, session, {
          source: "Method/Call",
          node: call.objectId,
          more: { methodId: text(DataType.NodeId, call.methodId), inputArguments: new Variant({ dataType: DataType.Variant, arrayType: VariantArrayType.Array, value: call.inputArguments || [] }) },
        });
      }
    }
  });
  await server.start();
  process.stdin.setEncoding("utf8");
  process.stdin.on("data", async (told) => {
    for (const [order, count] of told.trim().split("\n").map((line) => line.split(" "))) {
      if (order === "flood") {
        for (let number = 0; number < Number(count); number += 1) raise("AuditWriteUpdateEventType", true, null, { source: "Attribute/Write", more: {} });
      }
      if (order === "huge") {
        raise("AuditEventType", true, null, { source: "x".repeat(Number(count)), more: {} });
      }
      if (order === "drop") {
        // The connections break, and the sessions stay.
        for (const endpoint of server.endpoints) endpoint.abruptlyInterruptChannels();
      }
      console.log("done " + order);
    }
  });
  process.stdin.on("end", () => process.exit(0));
  console.log("ready");
})().catch((error) => { console.error(error); process.exit(1); });
