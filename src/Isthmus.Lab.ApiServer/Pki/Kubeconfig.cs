using System.Text;

namespace Isthmus.Lab.ApiServer.Pki;

/// <summary>Writes the administrator's kubeconfig of a lab cluster.</summary>
public static class Kubeconfig
{
    /// <summary>
    /// The text of a kubeconfig whose one context, cluster and user are called <paramref name="context"/>. With
    /// <paramref name="proxy"/> it is the user's form (reached through the lab's HTTP proxy), without it the direct one.
    /// </summary>
    public static Task<string> RenderAsync(ClusterPki pki, string context, Uri server, Uri? proxy, CancellationToken stop) =>
        RenderAsync(pki, PkiNames.Admin, context, server, proxy, stop);

    /// <summary>Writes a kubeconfig with the credentials of the cluster's node to <paramref name="path"/>, with mode 0600.</summary>
    public static async Task WriteNodeAsync(string path, ClusterPki pki, string context, Uri server, CancellationToken stop) =>
        await PrivateFile.WriteAsync(path, await RenderAsync(pki, PkiNames.Node, context, server, null, stop), stop);

    private static async Task<string> RenderAsync(ClusterPki pki, string user, string context, Uri server, Uri? proxy, CancellationToken stop)
    {
        var (certificate, key) = await pki.ReadPairAsync(user, stop);
        var proxyLine = proxy is null ? "" : $"    proxy-url: {proxy.OriginalString.TrimEnd('/')}\n";
        return $"""
            apiVersion: v1
            kind: Config
            clusters:
            - name: {context}
              cluster:
                certificate-authority-data: {Base64(pki.CaPem)}
                server: {server.OriginalString.TrimEnd('/')}

            """
            + proxyLine
            + $$"""
            contexts:
            - name: {{context}}
              context:
                cluster: {{context}}
                user: {{context}}
            current-context: {{context}}
            preferences: {}
            users:
            - name: {{context}}
              user:
                client-certificate-data: {{Base64(certificate)}}
                client-key-data: {{Base64(key)}}

            """;
    }

    /// <summary>Renders as <see cref="RenderAsync"/> and writes it to <paramref name="path"/> with mode 0600.</summary>
    public static async Task WriteAsync(
        string path, ClusterPki pki, string context, Uri server, Uri? proxy, CancellationToken stop) =>
        await PrivateFile.WriteAsync(path, await RenderAsync(pki, context, server, proxy, stop), stop);

    private static string Base64(string text) => Convert.ToBase64String(Encoding.ASCII.GetBytes(text));
}
