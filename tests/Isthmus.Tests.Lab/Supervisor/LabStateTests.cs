using Isthmus.Lab.Machine.Network;
using Isthmus.Lab.Supervisor;
using Xunit;

namespace Isthmus.Tests.Lab.Supervisor;

public sealed class LabStateTests
{
    [Fact]
    public void What_the_next_supervisor_needs_is_in_the_file_and_goes_with_its_cluster()
    {
        var home = new LabHome(Directory.CreateTempSubdirectory("state").FullName);
        try
        {
            var state = new LabState(4000, [ClusterSettings.Default("a", 1), ClusterSettings.Default("b", 2)]).WithLoopbackPort("a", 4001)
                .WithLoopbackPort("b", 4002);
            state.Save(home);
            Assert.Equal(state, LabState.Load(home));
            Assert.Equal(4001, LabState.Load(home).LoopbackPorts["a"]);
            state.Without("a").Save(home);
            Assert.Equal(["b"], LabState.Load(home).LoopbackPorts.Keys);
            Assert.Equal("b", Assert.Single(LabState.Load(home).Clusters).Name);
        }
        finally
        {
            Directory.Delete(home.Directory, true);
        }
    }
}
