using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Which headers of the PROXY protocol a listener takes.</summary>
/// <param name="IsOptional">Connections may begin without one: any client may then say that it is another one.</param>
internal sealed record ProxyHeaderRules(bool IsOptional, bool AllowsV1, bool AllowsV2)
{
    public bool Allows(ProxyProtocolVersion version) => version == ProxyProtocolVersion.V1 ? AllowsV1 : AllowsV2;
}
