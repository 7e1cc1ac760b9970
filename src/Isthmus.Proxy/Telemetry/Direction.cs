using Isthmus.Core.Net;
using Isthmus.Wire.Envoy.Listeners;

namespace Isthmus.Proxy.Telemetry;

internal enum Direction { Unknown, Inbound, Outbound }
