using System.CommandLine;
using Isthmus.Core.Flags;

namespace Isthmus.Commands;

/// <summary>Commands of istioctl that Isthmus does not have: each says what to use instead.</summary>
internal static class InsteadCommands
{
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
    ];

    internal static IEnumerable<Command> OfExperimental() => Experimental.Select(one => Refused($"isthmus experimental {one.Name}", one.Name, one.Remedy));

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
