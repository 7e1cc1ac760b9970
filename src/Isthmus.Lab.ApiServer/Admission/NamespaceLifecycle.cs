using Isthmus.Lab.ApiServer.Errors;

namespace Isthmus.Lab.ApiServer.Admission;

/// <summary>Protects the namespaces that every cluster needs.</summary>
internal sealed class NamespaceLifecycle : IAdmissionPlugin
{
    public ValueTask MutateAsync(AdmissionRequest request, CancellationToken stop) => default;

    public ValueTask ValidateAsync(AdmissionRequest request, CancellationToken stop)
    {
        if (request is { Operation: "DELETE", Kind: { Group: "", Plural: "namespaces" }, Name: "default" or "kube-system" or "kube-public" })
            throw ApiException.Forbidden("", "namespaces", request.Name, "this namespace may not be deleted");
        return default;
    }
}
