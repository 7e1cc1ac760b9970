using System.Text.Json;

namespace Isthmus.CniPlugin;

/// <summary>What a container runtime asks for: the environment and the standard input of one run (CNI specification, section 2).</summary>
internal sealed class PluginCall
{
    /// <summary>More than any result of a chain. A pipe that never ends must not take the node's memory.</summary>
    private const int LargestConfiguration = 1 << 20;

    private const string DefaultSocket = "/var/run/istio-cni/agent.sock";

    private readonly JsonElement _configuration;

    private PluginCall(JsonElement configuration, Func<string, string?> environment)
    {
        _configuration = configuration;
        Version = Text("cniVersion") is { Length: > 0 } version ? version : "0.1.0";
        Command = environment("CNI_COMMAND") ?? "";
        ContainerId = environment("CNI_CONTAINERID") ?? "";
        NetworkNamespace = environment("CNI_NETNS") ?? "";
        foreach (var pair in (environment("CNI_ARGS") ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries))
        {
            if (pair.IndexOf('=', StringComparison.Ordinal) is > 0 and var equals) Arguments[pair[..equals]] = pair[(equals + 1)..];
        }
    }

    internal string Version { get; }

    internal string Command { get; }

    internal string ContainerId { get; }

    internal string NetworkNamespace { get; }

    /// <summary>CNI_ARGS: Kubernetes' runtimes name the Pod there.</summary>
    internal Dictionary<string, string> Arguments { get; } = new(StringComparer.Ordinal);

    internal string PodNamespace => Arguments.GetValueOrDefault("K8S_POD_NAMESPACE", "");

    internal string Pod => Arguments.GetValueOrDefault("K8S_POD_NAME", "");

    internal string Socket => Text("agent_socket") is { Length: > 0 } path ? path : DefaultSocket;

    internal bool IsExcluded =>
        _configuration.TryGetProperty("exclude_namespaces", out var names) && names.ValueKind == JsonValueKind.Array
        && names.EnumerateArray().Any(name => name.ValueKind == JsonValueKind.String && name.GetString() == PodNamespace);

    /// <summary>What the plug-ins before this one did; null at the head of a chain.</summary>
    internal JsonElement? PreviousResult =>
        _configuration.TryGetProperty("prevResult", out var result) && result.ValueKind == JsonValueKind.Object ? result : null;

    /// <exception cref="PluginException">The standard input is not the configuration of a plug-in.</exception>
    internal static PluginCall Read(Func<string, string?> environment, Stream input)
    {
        using var text = new MemoryStream();
        var buffer = new byte[16 << 10];
        for (int count; (count = input.Read(buffer)) > 0;)
        {
            text.Write(buffer, 0, count);
            if (text.Length > LargestConfiguration)
                throw new PluginException(PluginException.InvalidConfiguration, $"the network configuration is larger than {LargestConfiguration >> 10} KiB");
        }
        try
        {
            var root = JsonDocument.Parse(text.ToArray(), new() { AllowDuplicateProperties = false }).RootElement;
            return root.ValueKind == JsonValueKind.Object
                ? new(root, environment)
                : throw new PluginException(PluginException.DecodingFailed, "the network configuration is not a JSON object");
        }
        catch (JsonException e)
        {
            throw new PluginException(PluginException.DecodingFailed, "the network configuration is not JSON", e.Message);
        }
    }

    private string? Text(string name) =>
        _configuration.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
