using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Dns.Cluster;
using Isthmus.Dns.Config;
using Isthmus.Dns.Server;
using Isthmus.Kubernetes.Client;

namespace Isthmus.Dns;

/// <summary><c>isthmus dns -conf Corefile [-dns.port N]</c>: a cluster's DNS, configured as CoreDNS is.</summary>
public static class DnsProgram
{
    private static readonly Flag<string> Corefile = Flag.Text("-conf", "FILE", "Corefile", "--conf");

    private static readonly Flag<int> Port = Flag.Port("-dns.port", 53, 0, "--dns.port", "-p", "--p");

    private static readonly FlagSet Flags = new("isthmus dns", Corefile, Port);

    /// <returns>0 when told to stop; 1 when it cannot start.</returns>
    /// <exception cref="WrongUseException">The command line is not valid.</exception>
    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var flags = Flags.Read(args);
        try
        {
            await ServeAsync(flags.Get(Corefile), flags.Get(Port), stop);
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
}
