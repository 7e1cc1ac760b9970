using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Registry;

namespace Isthmus.Lab.ApiServer.Admission;

/// <summary>One write on its way to the store. Plug-ins may change or replace <see cref="Object"/> while mutating.</summary>
public sealed class AdmissionRequest
{
    public required RequestAttributes Attributes { get; init; }

    public required KindDescriptor Kind { get; init; }

    /// <summary>CREATE, UPDATE, DELETE or CONNECT.</summary>
    public required string Operation { get; init; }

    /// <summary>The new object; null for DELETE.</summary>
    public JsonObject? Object { get; set; }

    /// <summary>The stored object; null for CREATE.</summary>
    public JsonObject? OldObject { get; init; }

    /// <summary>CreateOptions, UpdateOptions, PatchOptions or DeleteOptions, with kind and apiVersion.</summary>
    public required JsonObject Options { get; init; }

    public bool DryRun { get; init; }

    /// <summary>Texts sent to the client as Warning headers.</summary>
    public List<string> Warnings { get; init; } = [];

    public UserIdentity User => Attributes.User;

    public string Namespace => Attributes.Namespace;

    /// <summary>Name from the request or, when it had none, from the object.</summary>
    public string Name => Attributes.Name.Length > 0 ? Attributes.Name : (string?)Object?["metadata"]?["name"] ?? "";

    public string Subresource => Attributes.Subresource;
}

/// <summary>
/// One step of admission: first all plug-ins mutate in order, then all validate. Rejects by throwing an <see cref="ApiException"/>.
/// </summary>
public interface IAdmissionPlugin
{
    ValueTask MutateAsync(AdmissionRequest request, CancellationToken stop);

    ValueTask ValidateAsync(AdmissionRequest request, CancellationToken stop);
}
