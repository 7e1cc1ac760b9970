using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>Where among the filters of a proxy a plugin runs.</summary>
public enum PluginPhase { Unspecified, Authn, Authz, Stats }

/// <summary>What becomes of a call whose plugin cannot be loaded or fails.</summary>
public enum PluginFailure
{
    /// <summary>It is refused.</summary>
    Close,

    /// <summary>It passes without the plugin.</summary>
    Open,

    /// <summary>It is refused, and later calls get a new virtual machine.</summary>
    Reload,
}

/// <summary>The traffic that a plugin is for.</summary>
/// <param name="Clients">Calls of the workload, and through gateways.</param>
/// <param name="Servers">Calls to the workload.</param>
/// <param name="Ports">None: all.</param>
public sealed record PluginMatch(bool Clients, bool Servers, ValueList<int> Ports);

/// <summary>The program of a plugin, and what it is started with.</summary>
/// <param name="Url">Of <c>file</c>, <c>http</c>, <c>https</c> or <c>oci</c>.</param>
/// <param name="Sha256">Of the module, or of the image's manifest; empty: any.</param>
/// <param name="PullPolicy">Istio's word; empty: as Kubernetes does with images.</param>
/// <param name="PullSecret">A Secret with credentials of registries, in the plugin's namespace; empty for none.</param>
public sealed record PluginModule(string Url, string Sha256, string PullPolicy, string PullSecret)
{
    /// <summary>The object that the plugin is configured with, as JSON; empty for none.</summary>
    public string Config { get; init; } = "";

    /// <summary>Which of the plugins in the module.</summary>
    public string RootId { get; init; } = "";

    public ValueMap<string> Environment { get; init; }

    /// <summary>Variables that have the value that they have for Envoy.</summary>
    public ValueList<string> HostEnvironment { get; init; }

    /// <summary>Changes with each edit of the object: images that are always pulled are pulled again.</summary>
    public string Version { get; init; } = "";
}

/// <summary>A WasmPlugin: a filter in WebAssembly, for the proxies that run it.</summary>
/// <param name="Selector">The workloads; empty: all in its namespace, or in the mesh when it is in the root namespace.</param>
/// <param name="IsNetwork">It sees bytes of connections, not requests.</param>
public sealed record WasmPlugin(ObjectRef Source, WorkloadSelector Selector, PluginModule Module, PluginPhase Phase, PluginFailure Failure, bool IsNetwork,
    long CreatedAt)
    : IWorkloadPolicy
{
    /// <summary>How the names begin under which proxies discover the configuration of plugins.</summary>
    public const string ResourcePrefix = "extensions.istio.io/wasmplugin/";

    /// <summary>Those with a higher priority come first in their phase; those without one come last.</summary>
    public int? Priority { get; init; }

    /// <summary>None: all traffic.</summary>
    public ValueList<PluginMatch> Matches { get; init; }

    /// <summary>The name of the filter and of its configuration.</summary>
    public string ResourceName => $"{ResourcePrefix}{Source.Namespace}.{Source.Name}";

    public bool IsFor(bool isServer, int port) =>
        Matches.IsEmpty || Matches.Any(match => (isServer ? match.Servers : match.Clients) && (match.Ports.IsEmpty || match.Ports.Contains(port)));

    /// <summary>Those of a workload, in the order in which they run within a phase.</summary>
    public static ValueList<WasmPlugin> For(IEnumerable<WasmPlugin> plugins, string ns, string rootNamespace, ValueMap<string> labels) => plugins
        .Where(plugin => plugin.AppliesTo(ns, rootNamespace, labels))
        .OrderByDescending(plugin => plugin.Priority ?? (long)int.MinValue - 1).ThenBy(plugin => plugin.Source.Namespace != ns)
        .ThenBy(plugin => plugin.CreatedAt).ThenBy(plugin => plugin.Source)
        .ToValueList();
}
