using Isthmus.Operate.GlobalNames;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Meshes that are joined by names of the global zone, as the room of these names judges them. Pure.</summary>
public static class GlobalZoneNames
{
    public static Analyzer Hosts
    {
        get;
    } = new("serviceentry.GlobalHostAnalyzer", "Checks that gateways of other clusters route the calls of ServiceEntries that lead to them",
        [
            OwnCodes.GatewayRefusesHost, OwnCodes.HostUnknownAtGateway, OwnCodes.PortUnknownAtGateway, OwnCodes.NameNotRewritten, OwnCodes.WrongGatewayPort,
            OwnCodes.PlainTextToGateway, OwnCodes.SharedAddress,
        ],
        ["Service", "ServiceEntry"], mesh => GlobalHosts.Check(mesh.Readable));

    public static Analyzer Forwarding
    {
        get;
    } = new("dns.StubDomainAnalyzer", "Checks that the cluster's DNS forwards the global zone", [OwnCodes.ZoneNotForwarded], [],
        mesh => StubDomain.Check(mesh.Readable));
}
