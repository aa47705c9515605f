import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.HexFormat;
import javax.security.auth.x500.X500Principal;

/** Reads subjects as DER in hexadecimal digits, one a line, and writes what getName() says of each, in UTF-8 as digits. */
public class Names {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        PrintStream out = new PrintStream(System.out, false, "UTF-8");
        for (String line; (line = in.readLine()) != null; ) {
            try {
                String name = new X500Principal(HexFormat.of().parseHex(line)).getName();
                out.println(HexFormat.of().formatHex(name.getBytes("UTF-8")));
            } catch (IllegalArgumentException e) {
                out.println("refused");
            }
        }
        out.flush();
    }
}
