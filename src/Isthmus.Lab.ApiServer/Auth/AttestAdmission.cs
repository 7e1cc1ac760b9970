using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Admission;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>Who writes the ClusterTrustBundle of a signer speaks for it, and needs the right to.</summary>
internal sealed class AttestAdmission(IAuthorizer authorizer) : IAdmissionPlugin
{
    public ValueTask MutateAsync(AdmissionRequest request, CancellationToken stop) => default;

    public ValueTask ValidateAsync(AdmissionRequest request, CancellationToken stop)
    {
        if (request is not { Operation: "CREATE" or "UPDATE", Kind: { Group: Resources.CertificatesGroup, Plural: "clustertrustbundles" } }
            || request.Object.TextAt("spec", "signerName") is not { Length: > 0 } signer
            || JsonNode.DeepEquals(request.OldObject?["spec"], request.Object?["spec"])) return default;
        // Rights may be for all signers of a domain.
        var names = (string[])[signer, $"{signer.Split('/')[0]}/*"];
        return names.Any(name => authorizer.Authorize(request.Attributes with { Verb = "attest", Resource = "signers", Subresource = "", Name = name }).Allowed)
            ? default
            : throw ApiException.Forbidden(request.Kind.Group, request.Kind.Plural, request.Name, $"user not permitted to attest for signerName \"{signer}\"");
    }
}
