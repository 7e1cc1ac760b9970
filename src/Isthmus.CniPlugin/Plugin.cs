using System.Text.Json;

namespace Isthmus.CniPlugin;

/// <summary>
/// <c>istio-cni</c>: the last plug-in of a node's chain. For a new Pod, it asks the node's agent to capture the Pod's traffic, and passes on the
/// result of the plug-ins before it. It decides nothing itself, so that a node needs a new plug-in only if the protocol changes.
/// </summary>
/// <remarks>Without an agent, Pods start as if there were no plug-in: a node must be able to start the agent's own Pod, and others. A Pod of the
/// mesh does not run uncaptured then, because its container <c>istio-validation</c> fails until the agent has repaired it.</remarks>
internal static class Plugin
{
    private static readonly string[] Versions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

    /// <returns>The exit code.</returns>
    internal static int Run(Func<string, string?> environment, Stream input, Stream output, TextWriter errors)
    {
        var version = Versions[^1];
        try
        {
            var call = PluginCall.Read(environment, input);
            version = call.Version;
            Run(call, output, errors);
            return 0;
        }
        catch (PluginException e)
        {
            Write(output, json =>
            {
                json.WriteString("cniVersion", version);
                json.WriteNumber("code", e.Code);
                json.WriteString("msg", $"istio-cni: {e.Message}");
                if (e.Details.Length > 0) json.WriteString("details", e.Details);
            });
            return 1;
        }
    }

    private static void Run(PluginCall call, Stream output, TextWriter errors)
    {
        switch (call.Command)
        {
            case "VERSION":
                Write(output, json =>
                {
                    json.WriteString("cniVersion", call.Version);
                    json.WriteStartArray("supportedVersions");
                    foreach (var version in Versions) json.WriteStringValue(version);
                    json.WriteEndArray();
                });
                break;
            case "ADD":
                if (!Versions.Contains(call.Version))
                    throw new PluginException(PluginException.IncompatibleVersion, $"CNI version {call.Version} is not supported",
                        $"supported: {string.Join(", ", Versions)}");
                Add(call, errors);
                Pass(call, output);
                break;
            // The rules end with the Pod's network namespace.
            case "DEL" or "CHECK" or "GC" or "STATUS":
                break;
            default:
                throw new PluginException(PluginException.InvalidEnvironment, $"CNI_COMMAND '{call.Command}' is not a command",
                    "expected ADD, DEL, CHECK, GC, STATUS or VERSION");
        }
    }

    private static void Add(PluginCall call, TextWriter errors)
    {
        // Not every network is a Pod's.
        if (call.Pod.Length == 0 || call.PodNamespace.Length == 0 || call.IsExcluded) return;
        if (!AgentCall.TryCapture(call))
            errors.WriteLine($"istio-cni: no agent listens on {call.Socket}; {call.PodNamespace}/{call.Pod} starts without traffic capture");
    }

    private static void Pass(PluginCall call, Stream output)
    {
        Write(output, json =>
        {
            json.WriteString("cniVersion", call.Version);
            if (call.PreviousResult is not { } result) return;
            foreach (var field in result.EnumerateObject().Where(field => field.Name != "cniVersion")) field.WriteTo(json);
        });
    }

    private static void Write(Stream output, Action<Utf8JsonWriter> fields)
    {
        using var json = new Utf8JsonWriter(output);
        json.WriteStartObject();
        fields(json);
        json.WriteEndObject();
    }
}
