using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;

namespace Isthmus.ControlPlane.Debug;

/// <summary>A debug page cannot answer.</summary>
/// <param name="status">The HTTP status.</param>
internal sealed class DebugPageException(int status, string message) : Exception(message)
{
    internal int Status => status;
}

/// <summary>Makes a page that programs of Isthmus read.</summary>
internal static class DebugPage
{
    internal static JsonNode Of<T>(T report, JsonTypeInfo<T> type) => JsonSerializer.SerializeToNode(report, type)!;
}
