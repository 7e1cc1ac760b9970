using Isthmus.Core.Collections;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Upstreams;

namespace Isthmus.Proxy.Transports;

/// <summary>Times in seconds; zero: the system's default.</summary>
internal sealed record KeepaliveSettings(int Time, int Interval, int Probes);
