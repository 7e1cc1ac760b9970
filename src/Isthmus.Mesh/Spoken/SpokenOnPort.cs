using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Reports;
using Isthmus.Wire.Xds;

namespace Isthmus.Mesh.Spoken;

/// <summary>What clients lately spoke on a port of an application where its proxy did not expect it, as the proxy says.</summary>
/// <param name="Port">Of the application.</param>
/// <param name="Connections">How many began so in about the last minute.</param>
public sealed record SpokenOnPort(int Port, SpokenPort.Types.Protocol Protocol, long Connections)
{
    /// <summary>Proxies are not trusted to say little, nor only what can be true.</summary>
    public static ValueList<SpokenOnPort> Of(TelemetryReport report) => report.Spoken.Take(TelemetryReports.MostSpoken)
        .Where(spoken => spoken.Port is > 0 and <= ushort.MaxValue && Enum.IsDefined(spoken.Protocol))
        .Select(spoken => new SpokenOnPort((int)spoken.Port, spoken.Protocol, spoken.Connections)).ToValueList();
}

/// <summary>A proxy with what clients speak to it.</summary>
public sealed record SpokenProxy(ProxyIdentity Proxy, ValueList<SpokenOnPort> Spoken);
