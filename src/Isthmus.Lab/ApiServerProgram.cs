using System.Net;
using Isthmus.Core.Problems;
using Isthmus.Lab.ApiServer;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Pki;

namespace Isthmus.Lab;

/// <summary>`isthmus lab-apiserver --cluster NAME --dir DIR --address IP [--port N] [--full-sync]`: API server and controllers of one cluster.</summary>
public static class ApiServerProgram
{
    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var settings = Parse(args, out var problem);
        if (settings is null)
        {
            await Console.Error.WriteLineAsync($"isthmus lab-apiserver: {problem}");
            return 2;
        }
        try
        {
            using var pki = await ClusterPki.EnsureAsync(settings.Directory, settings.Cluster, IPAddress.Parse(settings.Address), TimeProvider.System, stop);
            var certificate = settings.PlainHttp ? null : pki.ApiServer;
            // Chance here makes names and addresses, no secrets: those come from the system's generator.
            await using var host = ApiServerHost.Build(settings, certificate, TimeProvider.System, new Random(), Endpoints(settings));
            await host.StartAsync(stop);
            await Console.Out.WriteLineAsync($"API server of {settings.Cluster} listens on {string.Join(", ", host.Addresses)}");
            var controllers = settings.PlainHttp ? Task.Delay(Timeout.Infinite, stop) : ControllersProgram.RunAsync(settings, stop);
            await Task.WhenAny(host.Running, controllers, Task.Delay(Timeout.Infinite, stop));
            if (controllers.IsFaulted) await controllers;
            if (!stop.IsCancellationRequested) await host.Running;
            await Task.Delay(Timeout.Infinite, stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return 0;
        }
        catch (Exception e) when (e is IOException or ApiServer.Storage.SqliteException or ProblemException)
        {
            await Console.Error.WriteLineAsync($"isthmus lab-apiserver: {e.Message}");
            return 1;
        }
        return 0;
    }

    private static List<IPEndPoint> Endpoints(ApiServerSettings settings)
    {
        var address = IPAddress.Parse(settings.Address);
        var endpoints = new List<IPEndPoint> { new(IPAddress.Loopback, settings.Port) };
        if (!IPAddress.IsLoopback(address)) endpoints.Add(new(address, settings.Port));
        return endpoints;
    }

    private static ApiServerSettings? Parse(string[] args, out string problem)
    {
        problem = "";
        string cluster = "", directory = "", address = "127.0.0.1";
        var (port, full, plain) = (6443, false, false);
        for (var i = 0; i < args.Length; i++)
        {
            switch (args[i])
            {
                case "--full-sync":
                    full = true;
                    continue;
                case "--plain-http":
                    plain = true;
                    continue;
            }
            if (i + 1 == args.Length)
            {
                problem = $"{args[i]} is not a flag, or lacks its value";
                return null;
            }
            var value = args[i + 1];
            switch (args[i++])
            {
                case "--cluster":
                    cluster = value;
                    break;
                case "--dir":
                    directory = value;
                    break;
                case "--address" when IPAddress.TryParse(value, out _):
                    address = value;
                    break;
                case "--port" when int.TryParse(value, out var number) && number is >= 0 and < 65536:
                    port = number;
                    break;
                default:
                    problem = $"{args[i - 1]} {value}: unknown flag or bad value (flags: --cluster NAME, --dir DIR, --address IP, --port N, --full-sync)";
                    return null;
            }
        }
        if (cluster.Length == 0 || directory.Length == 0)
        {
            problem = "--cluster NAME and --dir DIR are needed";
            return null;
        }
        if (!Directory.Exists(directory))
        {
            problem = $"the directory {directory} does not exist";
            return null;
        }
        return new(cluster, directory, address) { Port = port, SurvivePowerLoss = full, PlainHttp = plain };
    }
}
