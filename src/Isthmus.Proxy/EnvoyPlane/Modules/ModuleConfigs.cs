using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Names;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Snapshot;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.WasmPlugins;
using HttpRbac = Isthmus.Wire.Envoy.HttpFilters.RBAC;
using HttpWasm = Isthmus.Wire.Envoy.HttpFilters.Wasm;
using NetworkRbac = Isthmus.Wire.Envoy.NetworkFilters.RBAC;
using NetworkWasm = Isthmus.Wire.Envoy.NetworkFilters.Wasm;

namespace Isthmus.Proxy.EnvoyPlane.Modules;

/// <summary>
/// Makes the configuration of plugins one that Envoy can use by itself: with a file in place of a URL, and without what is only for agents. Where there is no
/// module, calls pass or are refused, as the plugin says.
/// </summary>
internal static class ModuleConfigs
{
    private static readonly TimeSpan UsualTimeout = TimeSpan.FromSeconds(5), LongestTimeout = TimeSpan.FromMinutes(5);

    /// <summary>A configuration for Envoy.</summary>
    /// <param name="Config">The configuration.</param>
    /// <param name="Failure">Why the plugin does not run; null: it does, or it is not one.</param>
    public sealed record Made(Any Config, string? Failure);

    /// <param name="resource">A TypedExtensionConfig.</param>
    /// <param name="modules">Fetches modules.</param>
    /// <param name="time">Ends what takes too long.</param>
    /// <param name="stop">Ends it before.</param>
    /// <exception cref="InvalidProtocolBufferException">It is malformed.</exception>
    /// <exception cref="InvalidOperationException">A value in it has no meaning.</exception>
    public static async Task<Made> LocalAsync(Any resource, ModuleStore modules, TimeProvider time, CancellationToken stop)
    {
        var named = TypedExtensionConfig.Parser.ParseFrom(resource.Value);
        if (named.TypedConfig is null) return new(resource, null);
        // EnvoyFilters have the configuration of modules as a TypedStruct. One that is not for a module, or not understood, Envoy gets as it is.
        if (!TypedConfigs.TryPlain(named.TypedConfig, out var plain, out _)) return new(resource, null);
        var isHttp = plain.TryRead(out HttpWasm http);
        var isNetwork = plain.TryRead(out NetworkWasm network);
        if (!isHttp && !isNetwork) return new(resource, null);
        var config = (isHttp ? http.Config : network.Config) ?? new();
        string? failure = null;
        try
        {
            await LocalAsync(named.Name, config.VmConfig ?? new(), modules, time, stop).ConfigureAwait(false);
            named.TypedConfig = isHttp ? TypeNames.Pack(http) : TypeNames.Pack(network);
        }
        catch (ModuleException e)
        {
            failure = e.Message;
            named.TypedConfig = TypeNames.Pack(Without(isHttp, IsOpen(config)));
        }
        return new(TypeNames.Pack(named), failure);
    }

    public static bool IsOpen(PluginConfig config) =>
        config.FailurePolicy == FailurePolicy.Unspecified ? config.FailOpen : config.FailurePolicy == FailurePolicy.FailOpen;

    /// <summary>A filter in the place of the plugin: without rules, all passes; rules without a policy let nothing pass.</summary>
    private static IMessage Without(bool isHttp, bool passes)
    {
        var prefix = passes ? "wasm-default-allow" : "wasm-default-deny";
        return isHttp
            ? new HttpRbac { Rules = passes ? null : new(), RulesStatPrefix = prefix }
            : new NetworkRbac { Rules = passes ? null : new(), StatPrefix = prefix };
    }

    private static async Task LocalAsync(string name, VmConfig machine, ModuleStore modules, TimeProvider time, CancellationToken stop)
    {
        var variables = machine.EnvironmentVariables;
        var given = variables?.KeyValues.ToDictionary(StringComparer.Ordinal) ?? [];
        // What is for agents must not reach modules.
        foreach (var key in given.Keys.Where(key => key.StartsWith(WasmVariables.Prefix, StringComparison.Ordinal))) variables!.KeyValues.Remove(key);
        if (variables is { KeyValues.Count: 0, HostEnvKeys.Count: 0 }) machine.EnvironmentVariables = null;
        if (machine.Code?.Remote is not { } remote)
        {
            if (machine.Code?.Local is { SpecifierCase: DataSource.SpecifierOneofCase.Filename } local && !File.Exists(local.Filename))
                throw new ModuleException($"there is no file {local.Filename}");
            return;
        }
        var secret = given.GetValueOrDefault(WasmVariables.PullSecret);
        if (secret is "")
            throw new ModuleException("the Secret in imagePullSecret is missing, is not of the type kubernetes.io/dockerconfigjson, or may not be read");
        var url = remote.HttpUri?.Uri ?? "";
        // Control planes of Istio write "nil" for none.
        var request = new ModuleRequest(
            name, url, remote.Sha256 == "nil" ? "" : remote.Sha256, given.GetValueOrDefault(WasmVariables.PullPolicy, ""),
            given.GetValueOrDefault(WasmVariables.Version, ""), secret);
        var timeout = remote.HttpUri?.Timeout?.ToTimeSpan() ?? UsualTimeout;
        using var late = new CancellationTokenSource(timeout < LongestTimeout ? timeout : LongestTimeout, time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(late.Token, stop);
        try
        {
            machine.Code = new() { Local = new() { Filename = await modules.GetAsync(request, end.Token).ConfigureAwait(false) } };
        }
        catch (OperationCanceledException e) when (late.IsCancellationRequested && !stop.IsCancellationRequested)
        {
            throw new ModuleException($"{url} took longer than {timeout.TotalSeconds} s", e);
        }
    }
}
