from g6core.cli import main

main()
