using System.Text.Json;
using System.Text.Json.Serialization;
using Isthmus.Lab.Nodes.Processes;

namespace Isthmus.Lab.Nodes.Containers;

/// <summary>One run of a container, recorded on disk so that a restarted node finds it again.</summary>
/// <param name="Id">Random, hexadecimal; the container ID in the status.</param>
/// <param name="Attempt">0 for the first run; the restart count.</param>
/// <param name="Process">The outermost process of the run, which writes the exit code. Null when it could not be started.</param>
internal sealed record ContainerRecord(string Name, string Id, int Attempt, ProcessIdentity? Process, DateTimeOffset StartedAt, string Image, string ImageId)
{
    /// <summary>How it ended; null while it runs.</summary>
    public ContainerEnd? End { get; init; }

    /// <summary>How the previous run ended.</summary>
    public ContainerEnd? Previous { get; init; }

    /// <summary>The delay of the next start in seconds. It grows with every crash.</summary>
    public double BackOffSeconds { get; init; }
}

/// <summary>How a run ended.</summary>
/// <param name="Reason">Completed, Error, OOMKilled, StartError, ContainerStatusUnknown.</param>
/// <param name="Message">The termination message, or why it could not be started.</param>
internal sealed record ContainerEnd(string Id, int ExitCode, string Reason, string Message, DateTimeOffset StartedAt, DateTimeOffset FinishedAt);

/// <summary>A Pod's sandbox, recorded on disk.</summary>
/// <param name="Address">Its address on the Pod network; the node's address for a Pod on the host's network.</param>
/// <param name="Initialized">Whether all init containers have completed in this sandbox.</param>
internal sealed record PodRecord(string Uid, string Namespace, string Name, string Address, bool HostNetwork, string Boot, DateTimeOffset StartedAt,
    bool Initialized);

[JsonSourceGenerationOptions(WriteIndented = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ContainerRecord))]
[JsonSerializable(typeof(PodRecord))]
internal sealed partial class NodeJson : JsonSerializerContext;

/// <summary>Small files that are replaced as a whole.</summary>
internal static class StateFile
{
    internal static void Write<T>(string path, T value, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type)
    {
        var draft = path + ".new";
        File.WriteAllBytes(draft, JsonSerializer.SerializeToUtf8Bytes(value, type));
        File.Move(draft, path, overwrite: true);
    }

    /// <summary>Reads a record; null when there is none or it cannot be read. Then the state is rebuilt.</summary>
    internal static T? Read<T>(string path, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type) where T : class
    {
        if (!File.Exists(path)) return null;
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), type);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
