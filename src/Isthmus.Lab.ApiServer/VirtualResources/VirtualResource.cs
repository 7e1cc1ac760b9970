using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Identity;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.VirtualResources;

/// <summary>How a resource without storage, or a subresource, appears in paths and in discovery.</summary>
/// <param name="Subresource">Empty for a resource of its own.</param>
/// <param name="Verbs">API verbs (create, get, …).</param>
/// <param name="KindGroup">Group of the kind when it is not <paramref name="Group"/>: `policy` of pods/eviction.</param>
/// <param name="OlderKindVersion">A version that older clients still write the kind in, with the same fields.</param>
public sealed record VirtualResourceDescriptor(
    string Group, string Version, string Plural, string Singular, string Kind, string Subresource, bool Namespaced, ValueList<string> Verbs,
    string KindGroup = "", string KindVersion = "", string OlderKindVersion = "");

/// <summary>A JSON request to a virtual resource; authenticated, authorized, decoded.</summary>
/// <param name="Body">The decoded body; null for get.</param>
public sealed record VirtualRequest(RequestAttributes Attributes, JsonObject? Body, bool DryRun, List<string> Warnings);

public sealed record VirtualResponse(int Code, JsonObject Body);

/// <summary>Reviews, tokens, evictions: JSON in, JSON out, nothing stored under that name.</summary>
public interface IVirtualResource
{
    VirtualResourceDescriptor Descriptor { get; }

    /// <summary>Rejects by throwing an <see cref="ApiException"/>.</summary>
    ValueTask<VirtualResponse> HandleAsync(VirtualRequest request, CancellationToken stop);
}

/// <summary>A subresource that owns the connection: log, exec, attach, portforward, proxy.</summary>
public interface IStreamingResource
{
    VirtualResourceDescriptor Descriptor { get; }

    /// <param name="parent">The object named in the path, as stored.</param>
    Task HandleAsync(HttpContext http, RequestAttributes attributes, JsonObject parent, CancellationToken stop);
}
