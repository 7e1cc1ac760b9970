using System.Net.WebSockets;

namespace Isthmus.Kubernetes.Client;

/// <summary>Opens WebSockets to the streaming subresources of Pods: <c>exec</c>, <c>portforward</c>.</summary>
internal static class PodSocket
{
    /// <exception cref="KubeException">The API server refuses, or cannot be reached (status 0).</exception>
    internal static async Task<ClientWebSocket> OpenAsync(ClusterAccess access, string ns, string pod, string subresource, string[] protocols,
        CancellationToken stop)
    {
        using var server = new HttpMessageInvoker(ClientHandler.Create(access));
        return await OpenAsync(access, server, ns, pod, subresource, protocols, stop);
    }

    /// <inheritdoc cref="OpenAsync(ClusterAccess, string, string, string, string[], CancellationToken)"/>
    /// <param name="server">Connects to the API server.</param>
    internal static async Task<ClientWebSocket> OpenAsync(ClusterAccess access, HttpMessageInvoker server, string ns, string pod, string subresource,
        string[] protocols, CancellationToken stop)
    {
        if (access.StandIn is not null)
            throw new KubeException(System.Net.HttpStatusCode.NotImplemented, "NotImplemented",
                $"what stands in for cluster {access.Name} opens no connections to Pods");
        var path = $"{access.Server.AbsolutePath.TrimEnd('/')}/api/v1/namespaces/{Uri.EscapeDataString(ns)}/pods/{Uri.EscapeDataString(pod)}/{subresource}";
        var uri = new UriBuilder(new Uri(access.Server, path)) { Scheme = access.Server.Scheme == "http" ? "ws" : "wss" }.Uri;
        var socket = new ClientWebSocket();
        foreach (var protocol in protocols) socket.Options.AddSubProtocol(protocol);
        socket.Options.CollectHttpResponseDetails = true;
        var token = access.TokenFile is { } file ? (await File.ReadAllTextAsync(file, stop)).Trim() : access.Token;
        if (token is null && access.Exec is { } exec) token = await ExecCredentials.TokenAsync(exec, stop);
        if (!string.IsNullOrEmpty(token)) socket.Options.SetRequestHeader("Authorization", $"Bearer {token}");
        if (access.TlsServerName is { Length: > 0 } name) socket.Options.SetRequestHeader("Host", name);
        try
        {
            await socket.ConnectAsync(uri, server, stop);
            return socket;
        }
        catch (WebSocketException e)
        {
            var status = socket.HttpStatusCode;
            socket.Dispose();
            throw new KubeException(status, status.ToString(), status == 0 ? e.InnerException?.Message ?? e.Message : $"the API server answered {(int)status}");
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
