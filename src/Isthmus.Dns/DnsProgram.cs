using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Dns.Cluster;
using Isthmus.Dns.Config;
using Isthmus.Dns.Server;
using Isthmus.Kubernetes.Client;

namespace Isthmus.Dns;

/// <summary><c>isthmus dns -conf Corefile [-dns.port N]</c>: a cluster's DNS, configured as CoreDNS is.</summary>
public static class DnsProgram
{
    private const string DefaultCorefile = "Corefile";

    /// <returns>0 when told to stop; 1 when it cannot start; 2 for a wrong command line.</returns>
    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        try
        {
            if (Parse(args) is not var (path, port)) return 2;
            await ServeAsync(path, port, stop);
            return 0;
        }
        catch (ProblemException problem)
        {
            await Console.Error.WriteLineAsync($"isthmus dns: {problem.Message}");
            return 1;
        }
    }

    private static async Task ServeAsync(string path, int port, CancellationToken stop)
    {
        var time = TimeProvider.System;
        await using var output = new StreamWriter(Console.OpenStandardOutput()) { AutoFlush = true };
        void Log(string line)
        {
            // All threads share one writer.
            lock (output) output.WriteLine(line);
        }
        await using var server = new DnsServer(time, new Random(), Access, Log);
        var watch = new CorefileWatch(path, port, Environment.GetEnvironmentVariable, server, time, Log, Complain(time, Log));
        await watch.StartAsync();
        foreach (var zone in server.Plan!.Zones) Log($"{(zone.Zone.Length == 0 ? "." : zone.Zone + ".")}:{zone.Port}");
        await watch.RunAsync(stop);
        await server.LeaveAsync();
    }

    private static ClusterAccess Access(KubernetesPlan plan)
    {
        if (plan.Kubeconfig is { } file) return KubeConfig.Load(file, plan.Context, Environment.GetEnvironmentVariable);
        return KubeConfig.InCluster(Environment.GetEnvironmentVariable) ?? throw new ProblemException("kubernetes",
            "this is not a Pod: KUBERNETES_SERVICE_HOST or the service account's token is missing", "add 'kubeconfig FILE' to the plugin in the Corefile");
    }

    private static Func<string, CancellationToken, Task> Complain(TimeProvider time, Action<string> log)
    {
        if (KubeConfig.InCluster(Environment.GetEnvironmentVariable) is not { } access) return (_, _) => Task.CompletedTask;
        var pod = Environment.GetEnvironmentVariable("HOSTNAME") ?? Environment.MachineName;
        var configMap = Environment.GetEnvironmentVariable("COREFILE_CONFIGMAP") ?? "coredns";
        return new Complaint(access, pod, configMap, time, log).WriteAsync;
    }

    private static (string Path, int Port)? Parse(string[] args)
    {
        var (path, port) = (DefaultCorefile, 53);
        for (var i = 0; i < args.Length; i++)
        {
            var (name, value) = args[i].TrimStart('-').Split('=', 2) is [var left, var right] ? (left, right) : (args[i].TrimStart('-'), i + 1 < args.Length ? args[++i] : null);
            switch (name)
            {
                case "conf" when value is not null:
                    path = value;
                    break;
                case "dns.port" or "p" when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var given) && given < 65536:
                    port = given;
                    break;
                default:
                    Console.Error.WriteLine($"isthmus dns: {args[i]}: unknown flag, or its value is missing or wrong (flags: -conf FILE, -dns.port N)");
                    return null;
            }
        }
        return (path, port);
    }
}
