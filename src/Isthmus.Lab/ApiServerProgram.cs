using System.Net;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Lab.ApiServer;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Pki;

namespace Isthmus.Lab;

/// <summary><c>isthmus lab-apiserver --cluster NAME --dir DIR --address IP [--port N] [--full-sync] [--machine-socket FILE]</c>: API server and controllers of
/// one cluster.</summary>
public static class ApiServerProgram
{
    internal const string MachineSocketName = "--machine-socket";

    private const string Program = "isthmus lab-apiserver";

    private static readonly Flag<string>
        Cluster = Flag.Text("--cluster", "NAME", ""),
        DirectoryFlag = Flag.Text("--dir", "DIR", ""),
        MachineSocketFlag = Flag.Text(MachineSocketName, "FILE", ""),
        Address = new("--address", "IP", "127.0.0.1", text => IPAddress.TryParse(text, out _) ? text : throw new FormatException("expected an IP address"));

    private static readonly Flag<int> Port = Flag.Port("--port", 6443, lowest: 0);

    private static readonly Flag<bool> FullSync = Flag.Switch("--full-sync"), PlainHttp = Flag.Switch("--plain-http");

    private static readonly FlagSet Flags = new(Program, Cluster, DirectoryFlag, Address, Port, FullSync, PlainHttp, MachineSocketFlag);

    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var settings = Parse(args);
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
            await Console.Error.WriteLineAsync($"{Program}: {e.Message}");
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

    private static ApiServerSettings Parse(string[] args)
    {
        var flags = Flags.Read(args);
        var directory = flags.Required(DirectoryFlag);
        if (!Directory.Exists(directory)) throw new WrongUseException(Program, $"{DirectoryFlag.Name}: the directory {directory} does not exist");
        return new(flags.Required(Cluster), directory, flags.Get(Address))
        {
            Port = flags.Get(Port), SurvivePowerLoss = flags.Get(FullSync), PlainHttp = flags.Get(PlainHttp), MachineSocket = flags.Get(MachineSocketFlag),
        };
    }
}
