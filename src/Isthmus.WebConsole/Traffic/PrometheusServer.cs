using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Isthmus.Core.Problems;
using Isthmus.Core.Trust;
using Isthmus.Kubernetes.Client;

namespace Isthmus.WebConsole.Traffic;

/// <summary>A Prometheus, at an address or behind the API server of a cluster.</summary>
/// <param name="Name">For people, without credentials.</param>
/// <param name="GetAsync">Reads the answer to a GET of a path and query below the address.</param>
internal sealed record PrometheusServer(string Name, string Remedy, Func<string, CancellationToken, Task<IReadOnlyList<PrometheusRow>>> GetAsync)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    /// <summary>Prometheus keeps a short scrape interval by default in meshes; with a longer one, a minute has too few points for a rate.</summary>
    private static readonly string[] Windows = ["1m", "5m"];

    /// <summary>A Service, with the rights of the user to its proxy.</summary>
    public static PrometheusServer Behind(KubeClient client, string ns, string name, string port)
    {
        var path = $"/api/v1/namespaces/{ns}/services/{port}/proxy/";
        return new($"Service {ns}/{name} in {client.Access.Name}", $"look at its Pods: kubectl --context={client.Access.Name} -n {ns} get pods",
            async (query, stop) =>
        {
            try
            {
                return await client.ReadAsync(path + query, PrometheusAnswer.ReadAsync, stop);
            }
            catch (KubeException e) when (e.Code is 401 or 403)
            {
                throw new ProblemException("", "you may not read it through the API server", $"ask for the right to get services/proxy in namespace {ns}", e);
            }
            catch (KubeException e)
            {
                throw new InvalidDataException(e.Message, e);
            }
        });
    }

    /// <summary>An address that the user gave. Redirections are not followed: they lead elsewhere.</summary>
    public static PrometheusServer At(Uri address, Lazy<HttpClient> http)
    {
        var root = new UriBuilder(address) { UserName = "", Password = "", Path = $"{address.AbsolutePath.TrimEnd('/')}/" }.Uri;
        var credentials = address.UserInfo.Length > 0
            ? new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(Uri.UnescapeDataString(address.UserInfo))))
            : null;
        return new(root.ToString().TrimEnd('/'), $"check the address: curl {root}api/v1/query?query=up", async (query, stop) =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(root, query)) { Headers = { Authorization = credentials } };
            using var response = await http.Value.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
            // Prometheus explains errors in JSON: questions that it cannot answer (400, 422), and too much work (503).
            if (!response.IsSuccessStatusCode
                && response.StatusCode is not (HttpStatusCode.BadRequest or HttpStatusCode.UnprocessableEntity or HttpStatusCode.ServiceUnavailable))
                throw new InvalidDataException($"answers {(int)response.StatusCode} {response.ReasonPhrase}");
            await using var body = await response.Content.ReadAsStreamAsync(stop);
            return await PrometheusAnswer.ReadAsync(body, stop);
        });
    }

    /// <summary>For servers at an address. The roots of the machine are read for the first request, and again if they cannot be.</summary>
    public static Lazy<HttpClient> Client() => new(() =>
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false, UseCookies = false, AllowAutoRedirect = false, ActivityHeadersPropagator = null, ConnectTimeout = Patience
        };
        handler.SslOptions.CertificateChainPolicy = SystemRoots.Policy();
        return new(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }, LazyThreadSafetyMode.PublicationOnly);

    /// <summary>The calls of the mesh that it knows, in the shortest window in which it knows any.</summary>
    /// <param name="time">Says when it has taken too long.</param>
    /// <exception cref="ProblemException">It cannot be used.</exception>
    public async Task<(string Window, IReadOnlyList<CallRate> Rates)> ReadAsync(TimeProvider time, CancellationToken stop)
    {
        using var limit = new CancellationTokenSource(Patience, time);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop, limit.Token);
        try
        {
            foreach (var window in Windows)
            {
                var answers = await Task.WhenAll(PrometheusRates.Questions(window)
                    .Select(question => GetAsync($"api/v1/query?timeout={Patience.TotalSeconds:0}s&query={Uri.EscapeDataString(question)}", patience.Token)));
                if (answers.Any(answer => answer.Count > 0)) return (window, PrometheusRates.Join(answers));
            }
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            throw new ProblemException(Name, $"does not answer within {Patience.TotalSeconds:0} s", Remedy);
        }
        catch (HttpRequestException e)
        {
            throw new ProblemException(Name, $"cannot be reached: {Unreachable.Describe(e)}", Remedy, e);
        }
        catch (Exception e) when (e is IOException or InvalidDataException)
        {
            throw new ProblemException(Name, e.Message, Remedy, e);
        }
        throw new ProblemException(Name,
            $"knows no calls of the last {Windows[^1].TrimEnd('m')} minutes (istio_requests_total, istio_tcp_connections_opened_total)",
            "make calls, and let it scrape the proxies, as samples/addons/prometheus.yaml does");
    }
}
