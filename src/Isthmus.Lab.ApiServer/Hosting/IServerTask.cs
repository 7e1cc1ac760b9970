namespace Isthmus.Lab.ApiServer.Hosting;

/// <summary>A loop that runs as long as the server does; its failure ends the server.</summary>
public interface IServerTask
{
    Task RunAsync(CancellationToken stop);
}
