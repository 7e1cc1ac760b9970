using System.Net;
using Isthmus.Kubernetes.Client;
using Isthmus.Lab.ApiServer.Auth;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Pki;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Lab.Controllers;
using Isthmus.Lab.Controllers.Framework;
using Isthmus.Lab.Machine.Network;

namespace Isthmus.Lab;

/// <summary>Runs the controllers of a lab cluster inside the API server's process, as an ordinary client with its own
/// certificate.</summary>
public static class ControllersProgram
{
    /// <exception cref="Core.Problems.ProblemException">Keys or settings of the cluster are missing.</exception>
    public static async Task RunAsync(ApiServerSettings server, CancellationToken stop)
    {
        using var pki = ClusterPki.Load(server.Directory);
        var (certificate, key) = await pki.ReadPairAsync(PkiNames.Controllers, stop);
        using var client = new KubeClient(new ClusterAccess
        {
            Server = new Uri($"https://{IPAddress.Loopback}:{server.Port}"), CertificateAuthority = pki.CaPem,
            ClientCertificate = certificate, ClientKey = key, Name = server.Cluster,
        }, "kube-controller-manager") { FieldManager = "kube-controller-manager" };
        var pool = File.Exists(Path.Combine(server.Directory, ClusterSettings.FileName))
            ? ClusterSettings.Load(server.Directory).LoadBalancerPool
            : ClusterSettings.Default(server.Cluster, 1).LoadBalancerPool;
        var settings = new ControllerSettings(pki.CaPem, (ns, account, uid, secret) => SecretToken.Mint(pki.ServiceAccountKey, ns, account, uid, secret),
            pool.ToString())
        {
            Log = Console.Error.WriteLine,
        };
        await ClusterControllers.RunAsync(client, settings, stop);
    }
}
