using System.Security.Cryptography;
using System.Text;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Remote;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Tells whether an inventory is out of date, from the versions of the objects that <see cref="InventoryReader"/> reads: that takes
/// neither the memory nor the time of another analysis.</summary>
public sealed class InventoryVersions(string istioNamespace)
{
    private const string Settings = "settings", Roots = "roots", Remotes = "remote secrets", Misplaced = "misplaced secrets", Refusals = "refusals";

    /// <summary>Two equal answers mean that nothing changed in between.</summary>
    /// <param name="credentials">The Secrets that Gateways name.</param>
    /// <param name="others">What objects of the Gateway API name.</param>
    /// <exception cref="HttpRequestException">The API server cannot be reached.</exception>
    public async Task<string> ReadAsync(KubeClient client, IEnumerable<CredentialReference> credentials,
        IEnumerable<(ResourceKind Kind, string Namespace, string Name)> others, CancellationToken stop)
    {
        var settings = new ListOptions { LabelSelector = InventoryReader.SettingsLabel };
        var parts = await Task.WhenAll(
        [
            .. InventoryReader.Lists.Select(kind => HashAsync(kind.Plural, () => ServedLists.ListAsync<PartialObject>(client, kind, null, new(), stop))),
            HashAsync(Settings, () => client.ListAllAsync<PartialObject>(Kinds.ConfigMap, istioNamespace, settings, stop)),
            HashAsync(Remotes, async () => [.. await client.ListAllAsync<PartialObject>(Kinds.Secret, istioNamespace,
                new() { LabelSelector = RemoteSecretReader.Selector }, stop), .. await UnlabelledSecret.ListAsync(new(client, stop), istioNamespace, stop)]),
            HashAsync(Misplaced, () => MisplacedSecret.ListAsync(new(client, stop), istioNamespace, stop)),
            HashAsync(Refusals, () => client.ListAllAsync<PartialObject>(Kinds.Event, null, new() { FieldSelector = InventoryReader.RefusalsField }, stop)),
            HashAsync(Roots, () => client.ListAllAsync<PartialObject>(Kinds.ConfigMap, null, new() { FieldSelector = InventoryReader.RootsField }, stop)),
            FindAsync(client, Kinds.ConfigMap, "kube-system", "coredns", stop),
            FindAsync(client, Kinds.ConfigMap, istioNamespace, "istio", stop),
            .. GatewayApiDefinitions.Names.Select(name => FindAsync(client, Kinds.CustomResourceDefinition, null, name, stop)),
            FindAsync(client, Kinds.Secret, istioNamespace, WellKnown.CaCerts, stop),
            FindAsync(client, Kinds.Secret, istioNamespace, WellKnown.SelfSignedCa, stop),
            FindAsync(client, Kinds.Secret, istioNamespace, WellKnown.ConfigSecret, stop),
            .. credentials.SelectMany(one => (string[])[one.Name, $"{one.Name}-cacert"], (one, name) => (one.Namespace, Name: name)).Distinct()
                .Select(one => FindAsync(client, Kinds.Secret, one.Namespace, one.Name, stop)),
            .. others.Select(one => FindAsync(client, one.Kind, one.Namespace, one.Name, stop)),
        ]);
        return string.Join('\n', parts);
    }

    private static async Task<string> HashAsync(string list, Func<Task<IReadOnlyList<PartialObject>>> ask)
    {
        try
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            foreach (var one in await ask()) hash.AppendData(Encoding.UTF8.GetBytes(VersionOf(one)));
            return $"{list} {Convert.ToHexString(hash.GetHashAndReset())}";
        }
        catch (KubeException e)
        {
            return $"{list} {e.Code}";
        }
    }

    private static async Task<string> FindAsync(KubeClient client, ResourceKind kind, string? ns, string name, CancellationToken stop)
    {
        try
        {
            return $"{kind.Plural} {ns}/{name} {(await client.FindAsync<PartialObject>(kind, ns, name, stop) is { } one ? VersionOf(one) : "none")}";
        }
        catch (KubeException e)
        {
            return $"{kind.Plural} {ns}/{name} {e.Code}";
        }
    }

    private static string VersionOf(PartialObject one) => $"{one.Metadata.Uid} {one.Metadata.ResourceVersion}\n";
}
