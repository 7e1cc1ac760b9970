using Isthmus.Cni.Repair;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;

namespace Isthmus.Cni;

/// <summary>The agent's settings: variables of Istio's DaemonSet <c>istio-cni-node</c>.</summary>
internal sealed record CniSettings
{
    private static readonly Flag<string> LogLevel = Flag.Text("--log_output_level", "LEVEL", "default:info", "--log-output-level");

    private static readonly FlagSet Flags = new("isthmus install-cni", LogLevel);

    internal required string NodeName { get; init; }

    /// <summary>Of the agent's own Pod and DaemonSet.</summary>
    internal required string Namespace { get; init; }

    /// <summary>Where the node's directories are mounted.</summary>
    internal string NodeRoot { get; init; } = "/host";

    internal string ConfigurationDirectory { get; init; } = "/host/etc/cni/net.d";

    /// <summary>Empty for the file that the runtime uses.</summary>
    internal string ConfigurationFile { get; init; } = "";

    internal string BinaryDirectory { get; init; } = "/host/opt/cni/bin";

    /// <summary>The executable of the plug-in for this node.</summary>
    internal string Binary { get; init; } = Path.Combine(AppContext.BaseDirectory, "istio-cni");

    /// <summary>The same path on the node and in the agent's Pod.</summary>
    internal string Socket { get; init; } = "/var/run/istio-cni/agent.sock";

    internal IReadOnlyList<string> ExcludedNamespaces { get; init; } = [];

    /// <summary>Null for no repair.</summary>
    internal RepairSettings? Repair { get; init; }

    internal int ReadyPort { get; init; } = 8000;

    internal bool IsVerbose { get; init; }

    /// <exception cref="ProblemException">A variable is missing or invalid.</exception>
    internal static CniSettings Read(string[] args, Func<string, string?> environment)
    {
        var usual = new CniSettings { NodeName = Required("NODE_NAME"), Namespace = Required("POD_NAMESPACE") };
        return usual with
        {
            ConfigurationDirectory = Text("MOUNTED_CNI_NET_DIR", usual.ConfigurationDirectory),
            ConfigurationFile = Text("CNI_CONF_NAME", ""),
            // The agent's own Pod must start while no agent answers.
            ExcludedNamespaces = [.. Text("EXCLUDE_NAMESPACES", "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                .Append(usual.Namespace).Distinct(StringComparer.Ordinal)],
            Repair = Switch("REPAIR_ENABLED") ? new(Switch("REPAIR_REPAIR_PODS"), Switch("REPAIR_DELETE_PODS"), Switch("REPAIR_LABEL_PODS")) : null,
            IsVerbose = Flags.Read(args).Get(LogLevel).EndsWith(":debug", StringComparison.Ordinal),
        };

        string Text(string name, string otherwise) => environment(name) is { Length: > 0 } text ? text : otherwise;
        string Required(string name) =>
            environment(name) is { Length: > 0 } text
                ? text
                : throw new ProblemException(name, "is not set", "install the agent with 'isthmus install --set components.cni.enabled=true', which sets it");
        bool Switch(string name) => environment(name) switch
        {
            null or "" => false,
            var text when bool.TryParse(text, out var on) => on,
            var other => throw new ProblemException(name, $"'{other}' is not true or false"),
        };
    }
}
