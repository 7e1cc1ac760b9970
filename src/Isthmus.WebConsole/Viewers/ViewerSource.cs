using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.RemoteSecrets;

namespace Isthmus.WebConsole.Viewers;

/// <summary>Finds out whose a token is, and what its owner can reach with it.</summary>
/// <param name="home">The API server of the cluster, without credentials.</param>
internal sealed class ViewerSource(ClusterAccess home, string istioNamespace)
{
    private const string Account = "system:serviceaccount:";

    /// <summary>How long a login waits for each answer of an API server.</summary>
    internal TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(8);

    /// <exception cref="KubeException">The API server refuses the token (401), or the request.</exception>
    /// <exception cref="HttpRequestException">The API server cannot be reached.</exception>
    public async Task<ViewerAccess> AskAsync(string token, CancellationToken stop)
    {
        var access = home with { Token = token };
        using var client = new KubeClient(access, "isthmus-console") { RequestTimeout = Patience };
        var user = await UserAsync(client, stop);
        // A service account may read its own namespace more often than all of them.
        if (user.StartsWith(Account, StringComparison.Ordinal)) access = access with { Namespace = user[Account.Length..].Split(':')[0] };
        var (others, notes) = await OthersAsync(client, stop);
        return new(user, CredentialLifetime.Of(access)?.Expires, [access, .. others], notes);
    }

    private static async Task<string> UserAsync(KubeClient client, CancellationToken stop)
    {
        try
        {
            var review = Parse(await client.RawAsync(HttpMethod.Post, "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                new JsonObject { ["apiVersion"] = "authentication.k8s.io/v1", ["kind"] = "SelfSubjectReview" }, stop));
            return Known(review?["status"]?["userInfo"]?["username"]?.ToString() ?? "");
        }
        catch (KubeException e) when (e.Code is 403 or 404)
        {
            // Kubernetes before 1.28 has no such review. Everyone who is known to the API server may ask what they may do, so an answer
            // other than 401 shows that the token is valid.
            await ConfirmAsync(client, stop);
            return "";
        }
    }

    private static async Task ConfirmAsync(KubeClient client, CancellationToken stop)
    {
        var question = new JsonObject
        {
            ["apiVersion"] = "authorization.k8s.io/v1", ["kind"] = "SelfSubjectAccessReview",
            ["spec"] = new JsonObject { ["resourceAttributes"] = new JsonObject { ["verb"] = "list", ["resource"] = "pods" } },
        };
        await client.RawAsync(HttpMethod.Post, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", question, stop);
    }

    /// <summary>An API server with a proxy in front may take a wrong token for none.</summary>
    private static string Known(string user) =>
        user == "system:anonymous" ? throw new KubeException(HttpStatusCode.Unauthorized, "Unauthorized", "the API server does not know the token") : user;

    /// <summary>Other clusters, with the credentials that the viewer can read. The viewer's token is for this cluster only.</summary>
    private async Task<(IReadOnlyList<ClusterAccess> Clusters, IReadOnlyList<string> Notes)> OthersAsync(KubeClient client, CancellationToken stop)
    {
        try
        {
            var secrets = await client.ListAllAsync<Secret>(Kinds.Secret, istioNamespace, new ListOptions { LabelSelector = RemoteAccess.Selector }, stop);
            var (clusters, problems) = RemoteAccess.Read(secrets, home.Name);
            return (clusters, [.. problems.Select(problem => problem.ToString())]);
        }
        catch (KubeException e) when (e.Code == 403)
        {
            return ([], [$"other clusters are not shown: you may not read the remote secrets in namespace {istioNamespace}"]);
        }
    }

    private static JsonNode? Parse(byte[] json)
    {
        try { return StrictJson.Parse(json); }
        catch (JsonException) { return new JsonObject(); }
    }
}
