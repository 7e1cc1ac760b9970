using System.CommandLine;
using Isthmus.Core.Flags;

namespace Isthmus.Commands;

/// <summary>Commands of istioctl that Isthmus does not have: each says what to use instead.</summary>
internal static class InsteadCommands
{
    private static readonly (string Name, string Remedy)[] Root =
    [
        ("waypoint", "there are no waypoints: sidecars do their work ('isthmus migrate check' lists what waypoints have that sidecars do not)"),
        ("ztunnel-config", "there is no ambient mode: 'isthmus proxy-config' shows the configuration of a sidecar or gateway"),
        ("verify-install", "'isthmus verify'"),
        ("operator", "'isthmus install -f FILE', which takes IstioOperators"),
        ("options", "'isthmus --help' lists the flags that every command takes"),
        ("collateral", "docs/reference/commands.md describes the commands"),
    ];

    private static readonly (string Name, string Remedy)[] Experimental =
    [
        ("metrics", "'isthmus console' shows rates, errors and latency; or ask the Prometheus of samples/addons"),
        ("revision", "'isthmus tag list' and 'isthmus experimental injector list'"),
        ("check-inject", "'isthmus verify' says why a Pod has no sidecar"),
        ("add-to-mesh", "label the namespace with istio-injection=enabled and restart its workloads, or use 'isthmus kube-inject'"),
        ("remove-from-mesh", "label the Pods with sidecar.istio.io/inject=false and restart the workloads"),
        ("kube-uninject", "keep the manifests without a sidecar, and apply them again"),
        ("workload", "WorkloadGroups have no effect: virtual machines join with a ServiceEntry and WorkloadEntries"),
        ("config", "give flags, or set the context of the kubeconfig"),
        ("post-install", "'isthmus verify'"),
        ("waypoint", Root[0].Remedy),
        ("ztunnel-config", Root[1].Remedy),
    ];

    private static readonly (string Name, string Remedy)[] ProxyConfig =
    [
        ("eds",
            "'isthmus proxy-config endpoints' shows what the proxy has, and 'isthmus experimental internal-debug edsz?proxyID=POD.NAMESPACE' what it is sent"),
    ];

    private static readonly (string Name, string Remedy)[] Manifest =
    [
        ("translate", "charts and 'isthmus install' take the same values: give those of the IstioOperator to 'helm install' with the charts base and istiod"),
        ("diff", "write both with 'isthmus manifest generate', and compare them with diff"),
    ];

    internal static IEnumerable<(string Name, Func<Command> Build)> OfRoot => Root.Select(one => (one.Name,
        (Func<Command>)(() => Refused($"isthmus {one.Name}", one.Name, one.Remedy))));

    internal static IEnumerable<Command> OfExperimental => Experimental.Select(one => Refused($"isthmus experimental {one.Name}", one.Name, one.Remedy));

    internal static IEnumerable<Command> OfProxyConfig =>
        ProxyConfig.Select(one => Refused($"isthmus proxy-config {one.Name}", one.Name, one.Remedy));

    internal static IEnumerable<Command> OfManifest => Manifest.Select(one => Refused($"isthmus manifest {one.Name}", one.Name, one.Remedy));

    private static Command Refused(string line, string name, string remedy)
    {
        var command = new Command(name,
            $"Not supported: {remedy}.") { new Argument<string[]>("arguments") { Arity = ArgumentArity.ZeroOrMore, Hidden = true } };
        command.Hidden = true;
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction((Action<ParseResult>)(_ => throw new WrongUseException(line, "is not supported", $"instead: {remedy}")));
        return command;
    }
}
