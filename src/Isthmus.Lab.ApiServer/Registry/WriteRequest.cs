using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Storage;

namespace Isthmus.Lab.ApiServer.Registry;

/// <summary>One write as the registry sees it, whatever form it came in.</summary>
public sealed class WriteRequest
{
    public required RequestAttributes Attributes { get; init; }

    public required KindDescriptor Kind { get; init; }

    public bool DryRun { get; init; }

    /// <summary>Recorded in managedFields: the parameter fieldManager, or the User-Agent up to its first slash.</summary>
    public string Manager { get; init; } = "unknown";

    /// <summary>Texts for Warning headers.</summary>
    public List<string> Warnings { get; init; } = [];

    /// <summary>CreateOptions, UpdateOptions, PatchOptions or DeleteOptions, as admission sees them.</summary>
    public required JsonObject Options { get; init; }

    /// <summary>Set by server-side apply, which keeps managedFields itself.</summary>
    public bool IsApply { get; init; }

    public string Namespace => Attributes.Namespace;

    public string Name => Attributes.Name;

    internal WriteContext Context => new(Kind, Attributes.Subresource, Attributes.User, DryRun, Warnings);
}

/// <summary>The outcome of a write.</summary>
/// <param name="Object">The object after the write; for a dry run as it would be.</param>
/// <param name="Created">It did not exist before.</param>
/// <param name="Removed">The object was removed.</param>
public sealed record WriteResult(StoredObject Object, bool Created = false, bool Removed = false);

/// <summary>DeleteOptions.</summary>
public sealed record DeleteRequest(long? GracePeriodSeconds, string PropagationPolicy, string? Uid, string? ResourceVersion);
