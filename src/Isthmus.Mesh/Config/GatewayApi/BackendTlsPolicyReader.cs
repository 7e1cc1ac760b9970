using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Config.GatewayApi;

/// <summary>Reads BackendTLSPolicies.</summary>
public static class BackendTlsPolicyReader
{
    public static BackendTlsPolicy Read(string cluster, JsonObject policy)
    {
        var item = ApiItem.Of(MeshApi.BackendTlsPolicy, cluster, policy);
        var (spec, validation) = (item.Spec, item.Spec["validation"]);
        return new(
            item.Source, spec["targetRefs"].Items.Select(target => References.Read(target, "", "", item.Namespace)).ToValueList(),
            validation["hostname"].Text, item.Generation, item.CreatedAt)
        {
            CaCertificates = validation["caCertificateRefs"].Items.Select(reference => References.Read(reference, "", "", item.Namespace)).ToValueList(),
            UsesSystemCas = validation["wellKnownCACertificates"].Text == "System",
            SubjectAltNames = validation["subjectAltNames"].Items
                .Select(name => name["type"].Text == "URI" ? new BackendName(true, name["uri"].Text)
                    : new BackendName(false, name["hostname"].Text)).ToValueList(),
            Options = spec["options"].TextMap,
        };
    }
}
