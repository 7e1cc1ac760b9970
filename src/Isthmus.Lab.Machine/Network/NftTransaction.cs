using System.Diagnostics;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Machine.Network;

/// <summary>Loads nftables rules: all of them or none.</summary>
internal static class NftTransaction
{
    /// <summary>Loads the rules into the network namespace of this process.</summary>
    /// <exception cref="IOException">nft rejected them; the message contains its error.</exception>
    internal static async Task LoadAsync(string text, CancellationToken stop)
    {
        using var nft = Start();
        await FeedAsync(nft, text, stop);
    }

    internal static async Task LoadAsync(NamespaceHandle network, string text, CancellationToken stop)
    {
        using var nft = await NamespaceThread.RunAsync([network], Start);
        await FeedAsync(nft, text, stop);
    }

    private static Process Start()
    {
        var start = new ProcessStartInfo("nft", ["-f", "-"])
        {
            RedirectStandardInput = true,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        // Ordinary users have no sbin in PATH.
        start.Environment["PATH"] = $"{Environment.GetEnvironmentVariable("PATH")}:/usr/sbin:/sbin";
        return Process.Start(start) ?? throw new IOException("nft could not be started");
    }

    private static async Task FeedAsync(Process nft, string text, CancellationToken stop)
    {
        var errors = nft.StandardError.ReadToEndAsync(stop);
        var output = nft.StandardOutput.ReadToEndAsync(stop);
        try
        {
            await nft.StandardInput.WriteAsync(text.AsMemory(), stop);
            nft.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended before it read everything: the exit code and the error output below explain why.
        }
        await nft.WaitForExitAsync(stop);
        await output;
        if (nft.ExitCode != 0) throw new IOException($"nft rejected the rules: {(await errors).Trim()}");
    }
}
