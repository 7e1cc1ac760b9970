using System.Text.Json.Nodes;
using Isthmus.Images.Description;

namespace Isthmus.Bench.Proxies;

/// <summary>This repository's proxy, with the settings of the runtime that its image has.</summary>
internal static class OwnProxy
{
    private static IEnumerable<KeyValuePair<string, string>> ImageEnvironment => ProgramLayout.Environment.Where(setting => setting.Key != "DOTNET_ROOT");

    /// <summary>HTTP as a sidecar has it, with resources from files.</summary>
    internal static Task<Contender> StartAsync(ProxyRig rig, Wiring wiring)
    {
        var name = $"isthmus{wiring.Place}{(wiring.Sampling is { } percent ? $"-{percent}%" : "")}";
        var port = rig.NextPort();
        return StartAsync(rig, name, OwnResources.ForHttp(wiring, port, rig.File($"{name}.log")),
            new(name, port, "dotnet") { Host = wiring.Host, NetworkOf = wiring.NetworkOf }, wiring);
    }

    /// <summary>Passes TLS through by server name.</summary>
    internal static Task<Contender> StartPassThroughAsync(ProxyRig rig, Wiring wiring)
    {
        var name = $"isthmus{wiring.Place}";
        var port = rig.NextPort();
        return StartAsync(rig, name, OwnResources.ForPassThrough(wiring.Server, port, rig.File($"{name}.log")), new(name, port, "dotnet"), wiring);
    }

    /// <summary>This build twice, because two processes of one build differ, too, and another build.</summary>
    /// <param name="before">The repository in which the other one was built.</param>
    internal static async Task<Contender[]> StartBuildsAsync(ProxyRig rig, Wiring wiring, string before, Func<ProxyRig, Wiring, Task<Contender>> startAsync)
    {
        Console.WriteLine($"this build twice, and that in {before}");
        return [await startAsync(rig, wiring), await startAsync(rig, wiring with { Place = "-again" }),
            await startAsync(rig, wiring with { Place = "-before", Program = ProxyRig.ProgramOf(before) })];
    }

    /// <summary>A sidecar with its agent, which gets everything from a <see cref="DiscoveryServer"/>.</summary>
    /// <param name="port">A port that listens as soon as it is configured.</param>
    internal static Task<Contender> StartWithAgentAsync(ProxyRig rig, int port, string name = "isthmus", JsonObject? config = null,
        string kind = "sidecar") => rig.StartContenderAsync(new(name, port, "dotnet", rig.Program, "proxy", kind)
    {
        Environment = new Dictionary<string, string>(ImageEnvironment)
        {
            ["POD_NAME"] = "app-7d4b9c6f5d-x7k2p",
            ["POD_NAMESPACE"] = "bench",
            ["INSTANCE_IP"] = "127.0.0.1",
            ["SERVICE_ACCOUNT"] = "app",
            ["JWT_POLICY"] = "none",
            ["ISTIO_META_DNS_CAPTURE"] = "true",
            ["PROXY_CONFIG"] = new JsonObject([.. (config ?? []).Select(item => KeyValuePair.Create(item.Key, item.Value?.DeepClone())),
                new("discoveryAddress", DiscoveryServer.Address)]).ToJsonString(),
        },
    });

    private static Task<Contender> StartAsync(ProxyRig rig, string name, OwnResources resources, ContenderStart how, Wiring wiring)
    {
        var directory = Directory.CreateDirectory(rig.File(name)).FullName;
        resources.Write(directory);
        var program = wiring.Program ?? rig.Program;
        var managed = program.EndsWith(".dll", StringComparison.Ordinal);
        return rig.StartContenderAsync(how with
        {
            Program = managed ? how.Program : program,
            Arguments = [.. managed ? [program] : Array.Empty<string>(), "proxy", "sidecar", "--xds-dir", directory, "--cert-dir", rig.Credentials.Directory],
            Environment = new Dictionary<string, string>([.. ImageEnvironment, .. wiring.Settings]),
        });
    }
}
