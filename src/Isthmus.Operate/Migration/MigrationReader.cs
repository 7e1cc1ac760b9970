using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Install;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Migration;

/// <summary>Reads what a check needs from API servers and files. It changes nothing, and asks no control plane and no proxy.</summary>
public sealed class MigrationReader(string istioNamespace)
{
    private static readonly ResourceKind Operator = Manifests.ResourceOf(MeshApi.IstioOperator);

    /// <summary>Reads a cluster.</summary>
    public async Task<MigrationInput> ReadAsync(string context, ClusterAccess access, CancellationToken stop)
    {
        using var client = new KubeClient(access, "isthmus-migrate") { RequestTimeout = TimeSpan.FromSeconds(10) };
        var cluster = await new InventoryReader(istioNamespace, proxies: 0).ReadAsync(context, client, stop);
        if (cluster.Error.Length > 0) return new(cluster, [], [], [], []);
        var unknown = cluster.Unread.Select(kind => Unread(context, kind)).ToList();
        var operators = await ListAsync(client, context, Operator, new(), unknown, stop);
        var secrets = await ListAsync(client, context, Kinds.Secret, new ListOptions { LabelSelector = HelmRelease.Selector }, unknown, stop);
        return new(cluster, OfGatewayApi(cluster.AllObjects), operators, Releases(secrets, unknown), unknown);
    }

    /// <summary>What files hold.</summary>
    public static MigrationInput Read(ManifestFiles files, string istioNamespace)
    {
        var unknown = files.Problems.ToList();
        var releases = Releases(Of("Secret"), unknown);
        return new(files.Alone(istioNamespace), OfGatewayApi(files.Objects), Of("IstioOperator"), releases, unknown);

        IReadOnlyList<JsonObject> Of(string kind) => [.. files.Objects.Where(value => value["kind"]!.ToString() == kind)];
    }

    private static IReadOnlyList<JsonObject> OfGatewayApi(IEnumerable<JsonObject> objects) =>
        [.. objects.Where(value => value["apiVersion"]!.ToString().StartsWith($"{MeshApi.ApiGateway.Group}/", StringComparison.Ordinal))];

    /// <summary>The last release of each name.</summary>
    private static IReadOnlyList<HelmRelease> Releases(IReadOnlyList<JsonObject> secrets, List<Problem> unknown)
    {
        var found = new List<HelmRelease>();
        foreach (var secret in secrets)
        {
            try
            {
                if (HelmRelease.Read(secret) is { IsDeployed: true } release) found.Add(release);
            }
            catch (ProblemException e)
            {
                unknown.Add(e.Problem);
            }
        }
        return [.. found.GroupBy(release => release.Name).Select(one => one.MaxBy(release => release.Number)!)];
    }

    /// <summary>What the inventory does not have. A kind that the cluster does not define has no objects.</summary>
    private static async Task<IReadOnlyList<JsonObject>> ListAsync(KubeClient client, string context, ResourceKind kind, ListOptions options,
        List<Problem> unknown, CancellationToken stop)
    {
        try
        {
            var list = await client.ListAllAsync<JsonObject>(kind, null, options, stop);
            foreach (var value in list) (value["apiVersion"], value["kind"]) = (kind.ApiVersion, kind.Kind);
            return list;
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return [];
        }
        catch (KubeException e) when (e.Code == 403)
        {
            unknown.Add(Unread(context, kind.Kind));
            return [];
        }
    }

    private static Problem Unread(string context, string kind) =>
        new("", $"cluster {context}", "", $"{kind} may not be listed: what they lose is not known", "use a kubeconfig user who may list them",
            Severity.Warning);
}
