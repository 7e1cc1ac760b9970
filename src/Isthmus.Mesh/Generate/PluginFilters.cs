using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.WasmPlugins;
using Filter = Isthmus.Wire.Envoy.Listeners.Filter;
using HttpWasm = Isthmus.Wire.Envoy.HttpFilters.Wasm;
using NetworkWasm = Isthmus.Wire.Envoy.NetworkFilters.Wasm;

namespace Isthmus.Mesh.Generate;

/// <summary>WasmPlugins: filters that get their configuration by discovery (ECDS), so that the proxy's agent can fetch the module before Envoy sees
/// it.</summary>
public static class PluginFilters
{
    /// <summary>How long the agent tries to get a module, as in Istio.</summary>
    private static readonly TimeSpan FetchTimeout = TimeSpan.FromSeconds(30);

    internal static IEnumerable<HttpFilter> Http(MeshConfig mesh, PluginPhase phase, bool isServer, int port) =>
        mesh.Plugins.Where(plugin => plugin.Phase == phase && !plugin.IsNetwork && plugin.IsFor(isServer, port))
            .Select(plugin => new HttpFilter { Name = plugin.ResourceName, ConfigDiscovery = Discovered("http") });

    private static IEnumerable<Filter> Network(MeshConfig mesh, PluginPhase phase, bool isServer, int port) =>
        mesh.Plugins.Where(plugin => plugin.Phase == phase && plugin.IsNetwork && plugin.IsFor(isServer, port))
            .Select(plugin => new Filter { Name = plugin.ResourceName, ConfigDiscovery = Discovered("network") });

    /// <summary>Those of all phases, in their order, with policies in their place among them.</summary>
    internal static IEnumerable<Filter> Network(MeshConfig mesh, bool isServer, int port, IEnumerable<Filter>? policies = null) =>
    [
        .. Network(mesh, PluginPhase.Authn, isServer, port), .. Network(mesh, PluginPhase.Authz, isServer, port), .. policies ?? [],
        .. Network(mesh, PluginPhase.Stats, isServer, port), .. Network(mesh, PluginPhase.Unspecified, isServer, port),
    ];

    /// <summary>A plugin may decide who may call: until its configuration is there, the listener does not serve. What agents put in place of a module that
    /// they cannot get is RBAC.</summary>
    private static ExtensionConfigSource Discovered(string layer) => new()
    {
        ConfigSource = Parts.Ads,
        TypeUrls =
        {
            $"type.googleapis.com/envoy.extensions.filters.{layer}.wasm.v3.Wasm", $"type.googleapis.com/envoy.extensions.filters.{layer}.rbac.v3.RBAC"
        },
    };

    /// <summary>The configuration of a plugin, for the agent of a proxy.</summary>
    /// <param name="plugin">The plugin.</param>
    /// <param name="software">What the proxy is made of.</param>
    /// <param name="pullSecret">Finds the credentials of registries that its Secret holds; null if there are none.</param>
    public static TypedExtensionConfig Config(WasmPlugin plugin, ProxySoftware software, Func<WasmPlugin, string?> pullSecret)
    {
        var module = plugin.Module;
        var config = new PluginConfig
        {
            Name = $"{plugin.Source.Namespace}.{plugin.Source.Name}",
            RootId = module.RootId,
            Configuration = module.Config.Length > 0 ? Any.Pack(new StringValue { Value = module.Config }) : null,
            VmConfig = new() { Runtime = "envoy.wasm.runtime.v8", Code = Code(module), EnvironmentVariables = Variables(plugin, pullSecret) },
        };
        // Older Envoys do not know the one, and newer ones warn of the other.
        if (software.IsRecent)
            config.FailurePolicy = plugin.Failure switch
            {
                PluginFailure.Open => FailurePolicy.FailOpen,
                PluginFailure.Reload => FailurePolicy.FailReload,
                _ => FailurePolicy.FailClosed
            };
        else config.FailOpen = plugin.Failure == PluginFailure.Open;
        return new()
        {
            Name = plugin.ResourceName,
            TypedConfig = plugin.IsNetwork ? Parts.Pack(new NetworkWasm { Config = config }) : Parts.Pack(new HttpWasm { Config = config })
        };
    }

    private static AsyncDataSource Code(PluginModule module)
    {
        const string file = "file://";
        return module.Url.StartsWith(file, StringComparison.Ordinal)
            ? new() { Local = new() { Filename = module.Url[file.Length..] } }
            // Envoy demands a cluster, but the agent fetches.
            : new() { Remote = new() { HttpUri = new() { Uri = module.Url, Timeout = Parts.Duration(FetchTimeout), Cluster = "_" }, Sha256 = module.Sha256 } };
    }

    /// <summary>The variables for agents are those of Istio. Agents take them out.</summary>
    private static EnvironmentVariables Variables(WasmPlugin plugin, Func<WasmPlugin, string?> pullSecret)
    {
        var module = plugin.Module;
        var variables = new EnvironmentVariables { HostEnvKeys = { module.HostEnvironment }, KeyValues = { [WasmVariables.Version] = module.Version } };
        if (module.PullSecret.Length > 0) variables.KeyValues[WasmVariables.PullSecret] = pullSecret(plugin) ?? "";
        if (module.PullPolicy.Length > 0) variables.KeyValues[WasmVariables.PullPolicy] = module.PullPolicy;
        foreach (var (name, value) in module.Environment) variables.KeyValues[name] = value;
        return variables;
    }
}
