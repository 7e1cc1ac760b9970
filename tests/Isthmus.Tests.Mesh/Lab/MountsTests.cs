using Isthmus.Lab.Machine.Linux;
using Xunit;

namespace Isthmus.Tests.Mesh.Lab;

[Trait("shard", "node")]
public sealed class MountsTests
{
    /// <summary>Acts like a process that is being started: it has a copy of the file until its program runs.</summary>
    [Fact]
    public async Task A_mount_becomes_read_only_when_its_last_writer_is_done()
    {
        var directory = Directory.CreateTempSubdirectory("isthmus-mounts-").FullName;
        Mounts.Tmpfs(directory);
        try
        {
            var writer = File.OpenWrite(Path.Combine(directory, "file"));
            Assert.Equal(LinuxException.EBusy, Assert.Throws<LinuxException>(() => Mounts.SetAttributes(directory, recursive: true, readOnly: true)).Errno);
            var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var waiting = Task.Run(() =>
            {
                begun.SetResult();
                Mounts.SetAttributes(directory, recursive: true, readOnly: true);
            }, TestContext.Current.CancellationToken);
            await begun.Task;
            await writer.DisposeAsync();
            await waiting;
            Assert.Throws<IOException>(() => File.WriteAllText(Path.Combine(directory, "file"), "late"));
        }
        finally
        {
            Mounts.Unmount(directory);
            Directory.Delete(directory);
        }
    }
}
