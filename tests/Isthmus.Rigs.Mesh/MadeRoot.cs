using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Rigs.Mesh;

/// <summary>The root that a control plane made when it was installed. To make one takes a third of a second of CPU time (an RSA key), so tests
/// for which it does not matter begin with this one.</summary>
internal static class MadeRoot
{
    private static readonly Lazy<JsonObject> Data = new(() =>
    {
        // It outlives every leaf: those would end with it.
        var now = TimeProvider.System.GetUtcNow();
        using var issuer = Issuer.SelfSigned(new("cluster.local"), Keys.Create(KeyKind.EcP256), now.AddMinutes(-2), now.AddDays(30));
        return new() { ["ca-cert.pem"] = Base64(CertificateText.Write(issuer.Certificate)), ["ca-key.pem"] = Base64(Keys.ToPem(issuer.Key)) };
    });

    /// <param name="ns">The namespace of the control plane, which exists.</param>
    internal static Task<JsonObject> CreateAsync(KubeClient client, string ns) => client.CreateAsync(Kinds.Secret, new JsonObject
    {
        ["apiVersion"] = "v1", ["kind"] = "Secret", ["type"] = "istio.io/ca-root",
        ["metadata"] = new JsonObject { ["name"] = WellKnown.SelfSignedCa, ["namespace"] = ns }, ["data"] = Data.Value.DeepClone(),
    }, TestContext.Current.CancellationToken);

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
}
