

namespace Isthmus.Proxy.Transports;

internal enum ProxyProtocolVersion { V1, V2 }
